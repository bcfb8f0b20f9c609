"""Run the step executor: `python -m services.step_executor`."""

from libs.chassis.process.run import run_service
from services.step_executor.settings import Settings
from services.step_executor.wiring import SPEC

if __name__ == "__main__":
    run_service(SPEC, Settings)
