/* A PKCS #11 module that passes every call to another one (KGO_SHIM_MODULE) and does what the words in a file
   (KGO_SHIM_STATE) say, read afresh at each call:
     gone       the token is pulled: sessions end, no slot has a token, calls answer CKR_DEVICE_REMOVED
     slow=MS    C_Sign takes so long
     last       the token says that one PIN is left        locked    ... that none is left
     nomech     the token knows no ECDSA                   bad       signatures have a wrong bit
   Each C_Login is a line in KGO_SHIM_STATE + ".logins". TEST ONLY. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong;
typedef ulong (*call)();
enum { GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, GET_MECHANISM_INFO = 8, OPEN_SESSION = 12, CLOSE_ALL = 14, LOGIN = 18,
       GET_ATTRIBUTE = 24, FIND_INIT = 26, SIGN_INIT = 42, SIGN = 43, GENERATE_PAIR = 59, FUNCTIONS = 68 };
struct list { unsigned char version[2]; call functions[FUNCTIONS]; };
static struct list *real, mine;
static ulong slot_seen[16], slots_seen;
static int was_gone;

static int said(const char *word, long *value) {
    char text[400] = "", *at;
    FILE *file = fopen(getenv("KGO_SHIM_STATE"), "r");
    if (!file) return 0;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    if (!(at = strstr(text, word))) return 0;
    if (value) *value = atol(at + strlen(word));
    return 1;
}

static int gone(void) {
    int now = said("gone", 0);
    if (now && !was_gone)
        for (ulong at = 0; at < slots_seen; at++) real->functions[CLOSE_ALL](slot_seen[at]);
    was_gone = now;
    return now;
}
#define REMOVED 0x32UL
#define MECHANISM_INVALID 0x70UL

static ulong slot_list(unsigned char present, ulong *slots, ulong *count) {
    if (gone()) { *count = 0; return 0; }
    ulong done = real->functions[GET_SLOT_LIST](present, slots, count);
    if (!done && slots)
        for (slots_seen = 0; slots_seen < *count && slots_seen < 16; slots_seen++) slot_seen[slots_seen] = slots[slots_seen];
    return done;
}
static ulong token_info(ulong slot, unsigned char *info) {
    if (gone()) return REMOVED;
    ulong done = real->functions[GET_TOKEN_INFO](slot, info);
    ulong *flags = (ulong *)(info + 96); /* label 32, maker 32, model 16, serial 16 */
    if (!done && said("last", 0)) *flags |= 0x20000;
    if (!done && said("locked", 0)) *flags |= 0x40000;
    return done;
}
static ulong mechanism_info(ulong slot, ulong type, void *info) {
    if (gone()) return REMOVED;
    if (said("nomech", 0)) return MECHANISM_INVALID;
    return real->functions[GET_MECHANISM_INFO](slot, type, info);
}
static ulong open_session(ulong slot, ulong flags, void *app, void *notify, ulong *session) {
    return gone() ? REMOVED : real->functions[OPEN_SESSION](slot, flags, app, notify, session);
}
static ulong login(ulong session, ulong user, unsigned char *pin, ulong size) {
    char name[4096];
    if (gone()) return REMOVED;
    snprintf(name, sizeof name, "%s.logins", getenv("KGO_SHIM_STATE"));
    FILE *file = fopen(name, "a");
    if (file) { fprintf(file, "%d\n", (int)getpid()); fclose(file); }
    return real->functions[LOGIN](session, user, pin, size);
}
static ulong attribute(ulong session, ulong object, void *template, ulong count) {
    return gone() ? REMOVED : real->functions[GET_ATTRIBUTE](session, object, template, count);
}
static ulong find_init(ulong session, void *template, ulong count) {
    return gone() ? REMOVED : real->functions[FIND_INIT](session, template, count);
}
static ulong sign_init(ulong session, void *mechanism, ulong key) {
    return gone() ? REMOVED : real->functions[SIGN_INIT](session, mechanism, key);
}
static ulong sign(ulong session, unsigned char *data, ulong size, unsigned char *out, ulong *out_size) {
    long ms;
    if (out && said("slow=", &ms)) usleep(ms * 1000);
    if (gone()) return REMOVED;
    ulong done = real->functions[SIGN](session, data, size, out, out_size);
    if (!done && out && said("bad", 0)) out[40] ^= 1;
    return done;
}
static ulong generate(ulong session, void *mechanism, void *public, ulong publics, void *private, ulong privates,
                      ulong *one, ulong *other) {
    if (gone()) return REMOVED;
    return real->functions[GENERATE_PAIR](session, mechanism, public, publics, private, privates, one, other);
}

ulong C_GetFunctionList(struct list **found) {
    if (!real) {
        void *module = dlopen(getenv("KGO_SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
        ulong (*get)(struct list **) = module ? (ulong (*)(struct list **))dlsym(module, "C_GetFunctionList") : 0;
        if (!get || get(&real)) return 5;
        mine = *real;
        mine.functions[3] = (call)C_GetFunctionList;
        mine.functions[GET_SLOT_LIST] = (call)slot_list;
        mine.functions[GET_TOKEN_INFO] = (call)token_info;
        mine.functions[GET_MECHANISM_INFO] = (call)mechanism_info;
        mine.functions[OPEN_SESSION] = (call)open_session;
        mine.functions[LOGIN] = (call)login;
        mine.functions[GET_ATTRIBUTE] = (call)attribute;
        mine.functions[FIND_INIT] = (call)find_init;
        mine.functions[SIGN_INIT] = (call)sign_init;
        mine.functions[SIGN] = (call)sign;
        mine.functions[GENERATE_PAIR] = (call)generate;
    }
    *found = &mine;
    return 0;
}
