"""Door to the room `grading`: is a model's answer the gold answer?"""

from .grading.grader import GRADER_VERSION, Verdict, grade, is_correct

__all__ = ["GRADER_VERSION", "Verdict", "grade", "is_correct"]
