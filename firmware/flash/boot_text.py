"""Does a board's boot.py do anything? As MicroPython's ports write it, it imports and tidies up. Pure. DESIGN §11."""

import ast

BOOT_CHARACTERS_MAX = 4_096
"""A longer one is somebody's program: it was not read to its end."""
_MODULES = frozenset(("gc", "machine", "micropython", "os", "sys", "time", "uos", "usys", "utime"))
"""Built in; to import them starts nothing."""
_TIDYING = frozenset(("collect", "enable", "threshold"))


def is_idle_boot(text: str) -> bool:
    """Would the board be the same without it?"""
    if len(text) > BOOT_CHARACTERS_MAX:
        return False
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_is_idle, statements))


def _is_idle(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import(names=names):
            return all(name.name in _MODULES for name in names)
        case ast.ImportFrom(module=module, level=0):
            return module in _MODULES
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="gc"), attr=attr), args=args, keywords=[])):
            return attr in _TIDYING and all(isinstance(argument, ast.Constant) for argument in args)
        case _:
            return False
