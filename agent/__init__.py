"""The agent: a planner turns each message into steps, and the assistant runs them on the model."""

from .plan import PastStep, PastTurn, Plan, PlanContext, Step
from .planner import Planner

__all__ = ["PastStep", "PastTurn", "Plan", "PlanContext", "Planner", "Step"]
