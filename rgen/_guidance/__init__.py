"""Score fields, and samplers, that steer a model to a condition."""

from ._classifier_free import ClassifierFreeGuidance as ClassifierFreeGuidance
from ._guided import Guided as Guided
from ._reconstruction import Reconstruction as Reconstruction
from ._twisted import Particles as Particles, TwistedSampler as TwistedSampler
