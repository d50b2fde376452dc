"""Drawing a face with Pillow: palette, shapes, fonts, fitting, painting. DESIGN §3; FIELD_LESSONS 21."""
