"""The palette: told apart by people who see colours differently (Okabe and Ito), dark enough for paper."""

INK = "#1c2733"
MUTED = "#5c6773"
GRID = "#e6e9ec"
IDEAL = "#b6c0ca"

BLUE = "#0072b2"
SKY = "#56b4e9"
GREEN = "#009e73"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
PURPLE = "#cc79a7"
YELLOW = "#c9b700"
BLACK = "#30363d"

SERIES = (
    BLUE,
    VERMILION,
    GREEN,
    PURPLE,
    ORANGE,
    SKY,
    BLACK,
    YELLOW,
    "#7a4fbf",
    "#8c6d46",
    "#5f7f00",
    "#9a3b4f",
)

# Of one quantity in rising severity: light to dark, so that the order is seen even in grey.
PERCENTILES = {"p50": "#9ecae1", "p90": "#4a98c9", "p99": "#0b559f", "p999": "#d55e00"}

OUTCOMES = {"offered": BLACK, "ok": GREEN, "fail": VERMILION, "unknown": ORANGE, "dropped": PURPLE}

GOOD = "#1a7f4b"
BAD = "#b42318"
VOID = "#8a6d3b"

PHASE_FILLS = ("#f3f6f9", "#e9eef3")
FAULT_FILL = "#d55e00"

ERROR_SERIES = (VERMILION, BLUE, ORANGE, PURPLE, GREEN, SKY, BLACK, "#7a4fbf", "#8c6d46")
FAULT_EDGE = "#e5a27a"
PHASE_BAR = "#dfe6ee"
FAULT_BAR = "#f6cdb5"
# While nothing was sent, because somebody had stopped us.
HELD_FILL = "#7a4fbf"
HELD_EDGE = "#b7a2dd"
HELD_BAR = "#ddd2f1"
