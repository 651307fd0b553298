"""The parts of a synthetic face: skin, eyes, nose, mouth, beard, ears and glasses."""

import math

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Field, Rgb, ellipse, mix, smoothstep, stroke
from dcgan_cli.data.demo.head import Head, face_contour, lit, tinted


def paint_ear(head: Head, side: int) -> None:
    """The ear at `side` (-1 left, 1 right): behind the cheek, unless it is turned to us."""
    x = head.across(side * 1.03, -0.08)
    near = max(-side * math.sin(head.yaw), 0.0)
    half = 0.15 + 0.12 * near
    canvas = head.canvas.patch(x - 0.4, -0.4, x + 0.4, 0.6)
    with canvas.clipped(-face_contour(head, canvas) - 2 * near):
        ear = ellipse(canvas.x, canvas.y, x, 0.10, half, 0.30, side * 0.15)
        canvas.paint(ear, tinted(head.skin, head.shadow, 0.35))
        inner = ellipse(canvas.x, canvas.y, x + side * 0.02, 0.09, half * 0.55, 0.19, side * 0.15)
        canvas.paint(inner, head.shadow, 0.65, 0.08)


def paint_face(head: Head, iris: Rgb, hair: Rgb, beard: float) -> None:
    """Skin and features within the contour of the face; `beard` is its opacity in [0, 1]."""
    canvas = head.canvas.patch(-1.35, -1.5, 1.35, 1.55)
    contour = face_contour(head, canvas)
    with canvas.clipped(contour):
        _paint_skin(head, canvas, contour)
        if beard > 0:
            _paint_beard(head, hair, beard)
        _paint_eyes(head, iris, hair)
        _paint_nose(head)
        _paint_mouth(head)


def _paint_skin(head: Head, canvas: Canvas, contour: Field) -> None:
    """Skin, shaded round, with warm cheeks and the hollows of the eyes."""
    canvas.pixels[:] = mix(head.shadow, head.skin, lit(head, canvas))
    bright = tinted(head.skin, (1, 0.97, 0.9), 0.45)
    brow = head.canvas.patch(-1.1, -1.3, 1.1, 0.0)
    glow = ellipse(brow.x, brow.y, head.across(0.35 * head.light), -0.62, 0.42, 0.26)
    brow.paint(glow, bright, 0.45, 0.5)
    canvas.paint(contour, head.shadow, smoothstep(-0.24, 0.02, contour) * 0.5)
    flush = tinted(head.skin, (0.88, 0.28, 0.28), 0.3 if head.man else 0.42)
    rise = 0.06 if head.smiling else 0.0
    for side in (-1, 1):
        cheeks = head.surface(side * 0.55 - 0.5, -0.4, side * 0.55 + 0.5, 1.0)
        hollow = ellipse(cheeks.x, cheeks.y, side * 0.42, -0.06, 0.32, 0.17)
        cheeks.paint(hollow, head.shadow, 0.30, 0.3)
        cheek = ellipse(cheeks.x, cheeks.y, side * 0.56, 0.48 - rise, 0.30, 0.22)
        cheeks.paint(cheek, flush, 0.6 if head.smiling else 0.42, 0.35)
        apple = ellipse(cheeks.x, cheeks.y, side * 0.54, 0.36 - rise, 0.16, 0.09)
        cheeks.paint(apple, bright, 0.35, 0.2)


def _paint_beard(head: Head, color: Rgb, opacity: float) -> None:
    """Stubble or a full beard: the lower face less the cheeks; the lips are painted over it."""
    canvas = head.canvas.patch(-1.35, 0.2, 1.35, 1.55)
    u = head.unturned(canvas.x)
    bare = ellipse(u, canvas.y, 0, 0.16, 0.84, 0.56)
    lips = ellipse(u, canvas.y, 0, 0.90, 0.36, 0.11)
    color = tinted(color, head.shadow, 0.25)
    shades = mix(tinted(color, (0, 0, 0), 0.4), color, lit(head, canvas))
    canvas.paint(np.maximum(-bare, -lips), shades, opacity, 0.10)


def _paint_eyes(head: Head, iris: Rgb, brow: Rgb) -> None:
    """Eyes, lids and brows; a smile lifts the lower lids."""
    for side in (-1, 1):
        cx = side * 0.43
        canvas = head.surface(cx - 0.36, -0.55, cx + 0.36, 0.35)
        _paint_eye(head, canvas, cx, side, iris)
        _paint_brow(head, canvas, cx, side, brow)


def _paint_eye(head: Head, canvas: Canvas, cx: float, side: int, iris: Rgb) -> None:
    half, up, low = (0.245, 0.135, 0.085) if head.man else (0.265, 0.185, 0.095)
    if head.smiling:
        low *= 0.45
    p, q = (canvas.x - cx) / half, canvas.y
    q = q + side * p * (0.012 if head.man else 0.035)
    bow = 1 - p * p
    lid, floor = -up * bow, low * bow
    eye = np.maximum(lid - q, q - floor)
    canvas.paint(eye, mix((0.80, 0.78, 0.80), (0.99, 0.985, 0.975), smoothstep(-0.14, 0.0, q)))
    look = cx + 0.05 * math.sin(head.yaw)
    ball = np.hypot(canvas.x - look, q + 0.05)
    dark = tinted(iris, (0, 0, 0), 0.55)
    canvas.paint(np.maximum(ball - 0.150, eye), dark)
    canvas.paint(np.maximum(ball - 0.122, eye), iris, smoothstep(-0.16, 0.05, q))
    canvas.paint(np.maximum(ball - 0.068, eye), (0.05, 0.04, 0.05))
    glint = canvas.x - look - 0.045 * math.copysign(1, head.light)
    canvas.paint(np.hypot(glint, q + 0.10) - 0.036, (1, 1, 1))
    lash = tinted(head.shadow, (0.08, 0.05, 0.06), 0.8 if head.man else 0.95)
    thick = 0.022 if head.man else 0.036
    band = np.maximum(np.abs(q - lid) - thick * (0.7 + 0.5 * side * p), np.abs(p) - 1.04)
    canvas.paint(band, lash)
    crease = np.maximum(np.abs(q - lid + 0.065) - 0.012, np.abs(p) - 0.9)
    canvas.paint(crease, head.shadow, 0.7, 0.03)
    below = np.maximum(np.abs(q - floor) - 0.010, np.abs(p) - 0.9)
    canvas.paint(below, tinted(head.shadow, lash, 0.3), 0.7, 0.03)
    if not head.man:
        corner = cx + side * half
        wing = [(corner - side * 0.05, -0.045), (corner + side * 0.06, -0.12)]
        canvas.paint(stroke(canvas.x, canvas.y, wing, 0.04), lash)


def _paint_brow(head: Head, canvas: Canvas, cx: float, side: int, color: Rgb) -> None:
    man, woman = (0.31, 0.058, 0.028, -0.285), (0.29, 0.032, 0.055, -0.36)
    half, thick, arch, lift = man if head.man else woman
    p = (canvas.x - cx) * side / half
    middle = lift + arch * (p - 0.12) ** 2
    taper = thick * (1 - 0.42 * np.clip(p + 0.2, 0, 1))
    brow = np.maximum(np.abs(canvas.y - middle) - taper, np.abs(p) - 1.0)
    canvas.paint(brow, tinted(color, (0.1, 0.06, 0.05), 0.35), 0.92, 0.03)


def _paint_nose(head: Head) -> None:
    """A nose that stands out of the face, so that it leads when the head turns."""
    dark = tinted(head.shadow, (0.25, 0.08, 0.08), 0.25)
    bright = tinted(head.skin, (1, 0.97, 0.9), 0.5)
    shade = -1.0 if head.light + 1.2 * math.sin(head.yaw) > 0 else 1.0
    broad = 0.20 if head.man else 0.155
    canvas = head.surface(-0.42, -0.35, 0.42, 0.85, 0.3)
    # The ridge leaves the face at the brows and stands 0.3 proud of it at the tip.
    proud = 0.34 * np.clip((canvas.y + 0.2) / 0.7, 0, 1) - 0.3
    x = canvas.x - proud * math.sin(head.yaw)
    y = canvas.y
    ridge = 0.055 + broad * 0.55 * np.clip((y + 0.1) / 0.6, 0, 1) ** 2
    flank = np.maximum(np.abs(x - shade * ridge) - 0.05, np.abs(y - 0.1) - 0.38)
    canvas.paint(flank, head.shadow, 0.55, 0.16)
    gleam = np.maximum(np.abs(x + shade * 0.01) - 0.03, np.abs(y - 0.15) - 0.3)
    canvas.paint(gleam, bright, 0.5, 0.12)
    canvas.paint(ellipse(x, y, shade * 0.03, 0.60, broad * 1.15, 0.10), head.shadow, 0.6, 0.12)
    canvas.paint(ellipse(x, y, 0, 0.46, broad * 0.72, 0.13), head.skin, 0.8, 0.10)
    for side in (-1, 1):
        wing = ellipse(x, y, side * broad, 0.50, 0.06, 0.075)
        canvas.paint(wing, tinted(head.skin, head.shadow, 0.35), 0.8, 0.07)
        canvas.paint(ellipse(x, y, side * broad * 0.55, 0.555, 0.055, 0.028), dark, 0.85, 0.03)
    canvas.paint(ellipse(x, y, -shade * 0.04, 0.43, 0.055, 0.05), bright, 0.75, 0.09)


def _paint_mouth(head: Head) -> None:
    """Closed and level, or an open smile with teeth."""
    canvas = head.surface(-0.7, 0.55, 0.7, 1.3, 0.05)
    (_smile if head.smiling else _closed)(head, canvas)


def _closed(head: Head, canvas: Canvas) -> None:
    half = 0.37 if head.man else 0.34
    full = 0.095 if head.man else 0.125
    p, q = canvas.x / half, canvas.y - 0.88
    bow = np.clip(1 - p * p, 0, 1)
    line = 0.012 * np.cos(p * 3.1) - 0.004
    canvas.paint(ellipse(canvas.x, q, 0, 0.20, 0.22, 0.05), head.shadow, 0.5, 0.12)
    top = line - full * 0.72 * bow**0.8 * (1 - 0.28 * np.exp(-((p / 0.16) ** 2)))
    bottom = line + full * bow**0.8
    inside = np.abs(p) - 1
    upper = np.maximum(np.maximum(top - q, q - line), inside)
    canvas.paint(upper, tinted(head.lips, (0.3, 0.05, 0.1), 0.22))
    canvas.paint(np.maximum(np.maximum(line - q, q - bottom), inside), head.lips)
    shine = ellipse(canvas.x, q, 0.08 * head.light, full * 0.5, 0.13, 0.025)
    canvas.paint(shine, (1, 0.92, 0.9), 0.4, 0.06)
    canvas.paint(np.maximum(np.abs(q - line) - 0.013, np.abs(p) - 1.05), (0.27, 0.10, 0.11), 0.9)


def _smile(head: Head, canvas: Canvas) -> None:
    half = 0.46
    full = 0.055 if head.man else 0.08
    p, q = canvas.x / half, canvas.y - 0.83
    bow = np.clip(1 - p * p, 0, 1)
    top, bottom = -0.075 * p * p, 0.235 * bow**0.75 - 0.075 * p * p
    inside = np.abs(p) - 1
    for side in (-1, 1):
        fold = [(side * 0.30, 0.50), (side * 0.50, 0.66), (side * 0.555, 0.86)]
        canvas.paint(stroke(canvas.x, canvas.y, fold, 0.03), head.shadow, 0.75, 0.07)
    canvas.paint(ellipse(canvas.x, q, 0, 0.37, 0.24, 0.05), head.shadow, 0.5, 0.12)
    lips = np.maximum(top - full * bow**0.6 - q, q - bottom - full * 1.25 * bow**0.6)
    canvas.paint(np.maximum(lips, inside), head.lips)
    mouth = np.maximum(np.maximum(top - q, q - bottom), inside + 0.05)
    canvas.paint(mouth, (0.38, 0.09, 0.11))
    teeth = np.maximum(mouth + 0.012, q - top - 0.135 * bow**0.35)
    dim = smoothstep(0.4, 0.95, np.abs(p))
    canvas.paint(teeth, mix((0.99, 0.98, 0.95), (0.78, 0.75, 0.74), dim))
    shine = ellipse(canvas.x, q, 0.08 * head.light, 0.285, 0.12, 0.02)
    canvas.paint(shine, (1, 0.92, 0.9), 0.4, 0.05)


def paint_glasses(head: Head, frame: Rgb, arms: bool) -> None:
    """Glasses: two rims, the bridge, a glint, and arms where no hair hides them."""
    canvas = head.surface(-0.9, -0.42, 0.9, 0.46, 0.08)
    x, y = canvas.x, canvas.y - 0.03
    for side in (-1, 1):
        dx, dy = np.abs(x - side * 0.45) / 0.335, np.abs(y) / 0.275
        rim = ((dx**3.2 + dy**3.2) ** (1 / 3.2) - 1) * 0.3
        canvas.paint(rim, (0.93, 0.97, 1.0), 0.20)
        glint = np.abs(x - side * 0.45 + y * 0.8 + 0.12) - 0.05
        canvas.paint(np.maximum(glint, rim + 0.05), (1, 1, 1), 0.35, 0.04)
        canvas.paint(np.abs(rim) - 0.034, frame)
    bridge = np.maximum(np.abs(y + 0.06 - 0.5 * x * x) - 0.030, np.abs(x) - 0.14)
    canvas.paint(bridge, frame)
    for side in (-1, 1):
        hinge, ear = head.across(side * 0.77), head.across(side * 1.02, -0.1)
        if arms and (ear - hinge) * side > 0.01:
            arm = head.canvas.patch(min(hinge, ear) - 0.1, -0.3, max(hinge, ear) + 0.1, 0.2)
            arm.paint(stroke(arm.x, arm.y, [(hinge, -0.05), (ear, -0.02)], 0.07), frame)
