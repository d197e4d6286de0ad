"""Numbers of the literature, in nats, with 95 % intervals where they were given."""

# Table 3 of De Bortoli et al. 2022, but for these; not checked but for the fires.
SOURCES = {"flow_matching": "Chen and Lipman"}
EARTH = {
    "kent_mixture": {
        "volcano": "-0.80 ± 0.47",
        "earthquake": "0.33 ± 0.05",
        "flood": "0.73 ± 0.07",
        "fire": "-1.18 ± 0.06",
    },
    "normalizing_flow": {
        "volcano": "-6.05 ± 0.61",
        "earthquake": "0.14 ± 0.23",
        "flood": "1.11 ± 0.19",
        "fire": "-0.80 ± 0.54",
    },
    "moser_flow": {
        "volcano": "-4.21 ± 0.17",
        "earthquake": "-0.16 ± 0.06",
        "flood": "0.57 ± 0.10",
        "fire": "-1.28 ± 0.05",
    },
    "stereographic": {
        "volcano": "-3.80 ± 0.27",
        "earthquake": "-0.19 ± 0.05",
        "flood": "0.59 ± 0.07",
        "fire": "-1.28 ± 0.12",
    },
    "rsgm": {
        "volcano": "-4.92 ± 0.25",
        "earthquake": "-0.19 ± 0.07",
        "flood": "0.45 ± 0.17",
        "fire": "-1.33 ± 0.06",
    },
    "flow_matching": {
        "volcano": "-7.93 ± 1.67",
        "earthquake": "-0.28 ± 0.08",
        "flood": "0.42 ± 0.05",
        "fire": "-1.86 ± 0.11",
    },
}

# A model that rgen does not have.
WITHOUT_CODE = (
    "Riemannian diffusion models",
    "Huang et al., a bound",
    {
        "volcano": "-6.61 ± 0.97",
        "earthquake": "-0.40 ± 0.05",
        "flood": "0.43 ± 0.07",
        "fire": "-1.38 ± 0.05",
    },
)

# The best biased MMD with one network evaluation, and a Fréchet distance with two on
# tori, whose definition is not known; not checked.
FEW_STEPS = {
    "volcano": ("0.092", "Riemannian MeanFlow"),
    "earthquake": ("0.032", "generalised flow maps"),
    "flood": ("0.048", "Riemannian MeanFlow, multi-task"),
    "fire": ("0.027", "generalised flow maps"),
}
FEW_STEPS_TORI = {2: "0.22", 8: "0.54", 32: "0.46", 128: "0.62"}

# De Bortoli et al. 2022, Table 5: log-likelihood and function evaluations, by the
# number of components.
ROTATIONS = {
    "moser_flow": {
        16: ("0.85 ± 0.03", 2300),
        32: ("0.17 ± 0.03", 2300),
        64: ("-0.49 ± 0.02", 7300),
    },
    "exp_wrapped": {
        16: ("0.87 ± 0.04", 500),
        32: ("0.16 ± 0.03", 500),
        64: ("-0.58 ± 0.04", 500),
    },
    "rsgm": {
        16: ("0.89 ± 0.03", 100),
        32: ("0.20 ± 0.03", 100),
        64: ("-0.49 ± 0.02", 100),
    },
}
