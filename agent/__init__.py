"""The agent: the planner chooses, for every message, what is asked of the model."""

from .plan import PastStep, PastTurn, Plan, PlanContext, Step
from .planner import Planner

__all__ = ["PastStep", "PastTurn", "Plan", "PlanContext", "Planner", "Step"]
