"""Folds: what a record says. Pure functions from tables to parts of the summary.

Takes: pyarrow Tables with the columns of the record (events, samples, latency, operations), and objectives.
Gives: parts of `core.summary`: phases, capacity with its wall, errors, what customers saw.
Never: touches a file, a clock or the network; averages percentiles; says more than the record holds.
Start reading at: `latency.py` (the one way to a percentile), then `capacity.py` and `walls.py`.
Add one by: a module with one pure function; `conduct` calls it.
"""

from maul.insight.capacity import Search, find_capacity, search_limit
from maul.insight.customers import customers_during_faults
from maul.insight.errors import error_counts
from maul.insight.exhibits import exhibits_of
from maul.insight.first_access import first_access
from maul.insight.gauges import Gauge, Gauges
from maul.insight.generator import generator_summary
from maul.insight.generator_bound import GeneratorLimits, void_phases
from maul.insight.latency import ALL, WAITED, LatencyBook, Select, Series, percentile_ms, percentiles, series
from maul.insight.levels import Objective
from maul.insight.limits import limit_answers
from maul.insight.phases import final_statuses, phase_summaries
from maul.insight.resources import Forecast, Resource, forecasts, resources
from maul.insight.spans import Span, spans
from maul.insight.steady import Steady, mser5, steady
from maul.insight.walls import attribute_wall

__all__ = [
    "ALL",
    "WAITED",
    "Forecast",
    "Gauge",
    "Gauges",
    "GeneratorLimits",
    "LatencyBook",
    "Objective",
    "Resource",
    "Search",
    "Select",
    "Series",
    "Span",
    "Steady",
    "attribute_wall",
    "customers_during_faults",
    "error_counts",
    "exhibits_of",
    "final_statuses",
    "find_capacity",
    "first_access",
    "forecasts",
    "generator_summary",
    "limit_answers",
    "mser5",
    "percentile_ms",
    "percentiles",
    "phase_summaries",
    "resources",
    "search_limit",
    "series",
    "spans",
    "steady",
    "void_phases",
]
