"""For all tests: what a busy machine makes slow is no failure of a property."""

from hypothesis import HealthCheck, settings

settings.register_profile("maul", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("maul")
