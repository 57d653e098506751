"""Types of places and sizes in px or mm, for labels that are validated with pydantic."""

from typing import Annotated

from pydantic import Field

from poseact._utils.boundary import FARTHEST

Coordinate = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Length = Annotated[float, Field(gt=0, le=FARTHEST)]
Area = Annotated[float, Field(gt=0, le=FARTHEST**2)]
