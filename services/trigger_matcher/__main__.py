"""Run the trigger matcher: `python -m services.trigger_matcher`."""

from libs.chassis.process.run import run_service
from services.trigger_matcher.settings import Settings
from services.trigger_matcher.wiring import SPEC

if __name__ == "__main__":
    run_service(SPEC, Settings)
