"""Plants faults in a copy of the package, one at a time, and says which test notices.

    python scripts/planted_faults.py                # all of them
    python scripts/planted_faults.py reverse-drift  # those of these names
    python scripts/planted_faults.py --today 3      # in CI: three, chosen by the date
    python scripts/planted_faults.py --sound        # runs their tests without one first
    python scripts/planted_faults.py --output benchmarks/results/planted_faults.jsonl

A fault is one that a person could make: it changes numbers and raises nothing. Its
tests are the fastest that should notice. Prints a line of JSON for each fault, with the
test that failed and the seconds that it took, and ends with status 1 if one was not
noticed. Faults with a line in the file of `--output` are not planted again.

That the tests pass without a fault is what CI's run of them says; elsewhere `--sound`
does.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple


ROOT = pathlib.Path(__file__).parents[1]


class Fault(NamedTuple):
    """`old`, which is once in `file`, becomes `new`; some of `tests` should fail."""

    name: str
    file: str
    old: str
    new: str
    what: str
    tests: tuple[str, ...]


FAULTS = [
    # Manifolds
    Fault(
        "sphere-exp",
        "rgen/_manifold/_sphere.py",
        "return self._project(cos_sq(s) * x + sinc_sq(s) * v)",
        "return self._project(x + v)",
        "The exponential map of the sphere is the projection of a straight line.",
        ("tests/test_manifold.py::test_the_contract[float64-Sphere(2)]",),
    ),
    Fault(
        "sphere-log",
        "rgen/_manifold/_sphere.py",
        "nearby = asinc_sq(sin_sq) / jnp.sqrt(1 - sin_sq) * self",
        "nearby = asinc_sq(sin_sq) * self",
        "The logarithm of near points lacks the cosine of half the angle.",
        ("tests/test_manifold.py::test_the_contract[float64-Sphere(2)]",),
    ),
    Fault(
        "sphere-transport",
        "rgen/_manifold/_sphere.py",
        "return v - 2 * jnp.sum(n * v) * n",
        "return self._to_tangent(y, v)",
        "Parallel transport on the sphere is the projection, which shortens vectors.",
        ("tests/test_manifold.py::test_the_contract[float64-Sphere(2)]",),
    ),
    Fault(
        "sphere-jacobian-power",
        "rgen/_manifold/_sphere.py",
        "return (self.dim - 1) * jnp.log(jnp.abs(sinc_sq(jnp.sum(v * v))))",
        "return self.dim * jnp.log(jnp.abs(sinc_sq(jnp.sum(v * v))))",
        "The volume distortion of the sphere's exponential map has the power d.",
        ("tests/test_manifold.py::test_the_contract[float64-Sphere(2)]",),
    ),
    Fault(
        "sphere-spectral-gap",
        "rgen/_manifold/_sphere.py",
        "return float(self.dim)",
        "return float(self.dim + 1)",
        "The smallest eigenvalue of the sphere is off by one.",
        (
            "tests/test_manifold.py::TestCalculus"
            "::test_features_are_eigenfunctions_at_the_spectral_gap[float32-Sphere(2)]",
        ),
    ),
    Fault(
        "rotations-log-volume",
        "rgen/_manifold/_special_orthogonal.py",
        "for k in range(1, self.n))",
        "for k in range(1, self.n + 1))",
        "The volume of SO(n) has one sphere too many.",
        ("tests/test_manifold.py::test_volumes",),
    ),
    Fault(
        "hyperbolic-frame",
        "rgen/_manifold/_hyperbolic.py",
        "return _scale_across(x, z, 1 / stretch, -_sinhc_rest_sq(sq) / stretch)",
        "return _scale_across(x, z, stretch, _sinhc_rest_sq(sq))",
        "The frame of hyperbolic space is its own inverse.",
        ("tests/test_hyperbolic.py::test_basis_is_orthonormal",),
    ),
    Fault(
        "hyperbolic-connection",
        "rgen/_manifold/_hyperbolic.py",
        "turn = jnp.sum(x * z) * w - jnp.sum(w * z) * x",
        "turn = jnp.sum(w * z) * x - jnp.sum(x * z) * w",
        "The connection of hyperbolic space turns the wrong way.",
        (
            "tests/test_hyperbolic.py"
            "::test_covariant_derivative_is_metric_and_free_of_torsion",
        ),
    ),
    Fault(
        "metric-connection",
        "rgen/_manifold/_metric.py",
        "symbols = (slope_v @ f + slope_f @ v - gradient) / 2",
        "symbols = (slope_v @ f + slope_f @ v + gradient) / 2",
        "A Christoffel symbol has a wrong sign.",
        ("tests/test_surfaces.py::test_the_contract[torus in two angles]",),
    ),
    # Kernels
    Fault(
        "sphere-eigenvalue",
        "rgen/_kernel/_series.py",
        "l * (l + dim - 1) / 2, log_size, _gegenbauer(dim, terms), slopes",
        "l * (l + dim) / 2, log_size, _gegenbauer(dim, terms), slopes",
        "The eigenvalues of the sphere are those of one dimension more.",
        ("tests/test_heat_kernel.py::test_sphere_against_oracle[2-float32]",),
    ),
    Fault(
        "rotation-multiplicity",
        "rgen/_kernel/_series.py",
        "np.log(2 * l + 1.0), below * k, below @ slopes",
        "np.log(l + 1.0), below * k, below @ slopes",
        "The representations of SO(3) have the wrong multiplicities.",
        ("tests/test_heat_kernel.py::test_rotations_against_oracle[float32]",),
    ),
    Fault(
        "circle-series",
        "rgen/_kernel/_series.py",
        "n = np.arange(1, terms + 1, dtype=angle.dtype)",
        "n = np.arange(terms, dtype=angle.dtype)",
        "The series of the circle starts at the mode 0, which it has already.",
        ("tests/test_heat_kernel.py::test_torus_against_oracle[float32]",),
    ),
    Fault(
        "contour-nodes",
        "rgen/_kernel/_contour.py",
        "y = spacing * (np.arange(nodes) + 0.5).astype(r.dtype)",
        "y = spacing * np.arange(nodes).astype(r.dtype)",
        "The node of the contour on the real axis counts twice.",
        ("tests/test_heat_kernel.py::test_sphere_against_oracle[2-float32]",),
    ),
    Fault(
        "hyperbolic-normalisation",
        "rgen/_kernel/_hyperbolic.py",
        "jnp.log(2 * math.pi * v) - v / 8 - log_sinhc_sq(sq) / 2",
        "jnp.log(2 * math.pi * v) - v / 2 - log_sinhc_sq(sq) / 2",
        "The heat kernel of the hyperbolic plane loses mass as v grows.",
        ("tests/test_hyperbolic.py::test_density_integrates_to_one[2]",),
    ),
    Fault(
        "ornstein-uhlenbeck-mean",
        "rgen/_kernel/_ornstein_uhlenbeck.py",
        "return (x - jnp.exp(-v / 2) * x0) / jnp.expm1(-v)",
        "return (x - jnp.exp(-v) * x0) / jnp.expm1(-v)",
        "The score of the Ornstein-Uhlenbeck kernel has a mean that decays too fast.",
        ("tests/test_process.py::test_ornstein_uhlenbeck_score",),
    ),
    Fault(
        "wide-quantiles",
        "rgen/_kernel/_radial.py",
        "jnp.sqrt(jnp.minimum(v, last)) * jnp.exp(stretch) * z)",
        "1.02 * jnp.sqrt(jnp.minimum(v, last)) * jnp.exp(stretch) * z)",
        "Samples from a table of quantiles are 2 % too wide.",
        ("tests/test_heat_kernel.py::test_the_spread_of_samples[Sphere(2)]",),
    ),
    Fault(
        "wide-torus",
        "rgen/_kernel/_torus.py",
        "self.manifold.exp(x0, jnp.sqrt(v) * jr.normal(",
        "self.manifold.exp(x0, 1.02 * jnp.sqrt(v) * jr.normal(",
        "Samples of the heat kernel of the torus are 2 % too wide.",
        ("tests/test_heat_kernel.py::test_the_spread_of_samples[Torus(2)]",),
    ),
    Fault(
        "wide-ornstein-uhlenbeck",
        "rgen/_kernel/_ornstein_uhlenbeck.py",
        "return jnp.exp(-v / 2) * x0 + jnp.sqrt(-jnp.expm1(-v)) * noise",
        "return jnp.exp(-v / 2) * x0 + jnp.sqrt(-1.04 * jnp.expm1(-v)) * noise",
        "Samples of an Ornstein-Uhlenbeck process are 2 % too wide.",
        ("tests/test_heat_kernel.py::test_the_spread_of_samples[Ornstein-Uhlenbeck]",),
    ),
    Fault(
        "factors-share-noise",
        "rgen/_kernel/_product.py",
        "keys = jr.split(key, len(factors))",
        "keys = [key] * len(factors)",
        "The factors of a product are noised by one key.",
        ("tests/test_product_process.py::test_factors_have_noise_of_their_own",),
    ),
    Fault(
        "copies-share-noise",
        "rgen/_kernel/_power.py",
        "keys = jr.split(key, self.manifold.n)",
        "keys = jnp.broadcast_to(key, (self.manifold.n,))",
        "The copies of a power are noised by one key.",
        ("tests/test_product_process.py::test_factors_have_noise_of_their_own",),
    ),
    Fault(
        "fisher-rejection",
        "rgen/_kernel/_von_mises_fisher.py",
        "+ dim * jnp.log(envelope)",
        "+ (dim - 1) * jnp.log(envelope)",
        "The rejection of von Mises-Fisher samples has a power one too small.",
        (
            "tests/test_distributions.py"
            "::test_von_mises_fisher_integrates_to_one_and_samples_match[2-float32]",
        ),
    ),
    # Processes and schedules
    Fault(
        "langevin-half",
        "rgen/_process/_langevin.py",
        "return self.manifold.gradient(self.prior.log_prob, x) / 2",
        "return self.manifold.gradient(self.prior.log_prob, x)",
        "The drift of Langevin dynamics lacks its factor 1/2.",
        ("tests/test_process.py::test_drift_is_that_of_the_schedule",),
    ),
    Fault(
        "ornstein-uhlenbeck-drift",
        "rgen/_process/_ornstein_uhlenbeck.py",
        "return -x / 2",
        "return -x",
        "The drift of an Ornstein-Uhlenbeck process lacks its factor 1/2.",
        ("tests/test_process.py::test_ornstein_uhlenbeck_is_langevin_in_flat_space",),
    ),
    Fault(
        "ornstein-uhlenbeck-rate",
        "rgen/_process/_ornstein_uhlenbeck.py",
        "return -1.0",
        "return -0.5",
        "The rate of an Ornstein-Uhlenbeck process is half of what it is.",
        (
            "tests/test_process.py"
            "::test_a_schedule_ends_where_its_process_has_forgotten",
        ),
    ),
    Fault(
        "score-scale",
        "rgen/_process/_base.py",
        "return jnp.exp(-rate * v / 2) * jnp.sqrt(-rate / jnp.expm1(-rate * v))",
        "return jnp.exp(-rate * v) * jnp.sqrt(-rate / jnp.expm1(-rate * v))",
        "The size of the score decays twice as fast as the score.",
        ("tests/test_losses.py::test_weights",),
    ),
    Fault(
        "linear-variance",
        "rgen/_schedule/_linear.py",
        "return t * (self.beta_0 + (self.beta_1 - self.beta_0) * t / 2)",
        "return t * (self.beta_0 + (self.beta_1 - self.beta_0) * t)",
        "The variance of a linear schedule is its speed times the time.",
        (
            "tests/test_process.py"
            "::test_speed_is_the_derivative_of_the_accumulated_variance",
        ),
    ),
    Fault(
        "log-uniform-beta",
        "rgen/_schedule/_log_uniform.py",
        "return self._log_ratio * self.variance(t)",
        "return self.variance(t)",
        "The speed of a log-uniform schedule is its variance.",
        (
            "tests/test_process.py"
            "::test_speed_is_the_derivative_of_the_accumulated_variance",
        ),
    ),
    Fault(
        "product-speeds",
        "rgen/_schedule/_product.py",
        "return jnp.stack([schedule.beta(t) for schedule in self.schedules])",
        "return jnp.stack([self.schedules[0].beta(t) for _ in self.schedules])",
        "All factors of a product have the speed of the first.",
        (
            "tests/test_product_process.py"
            "::test_the_prior_and_the_drift_factorise[T3 x R2]",
        ),
    ),
    # Terms
    Fault(
        "reverse-score-sign",
        "rgen/_term.py",
        "return self.process.drift(x, t) - self.weight * speed * score",
        "return self.process.drift(x, t) + self.weight * speed * score",
        "The score enters the reverse drift with the wrong sign.",
        ("tests/test_sampling.py::test_moments_of_the_reverse_walk",),
    ),
    Fault(
        "reverse-drift-sign",
        "rgen/_term.py",
        "return self.process.drift(x, t) - self.weight * speed * score",
        "return -self.process.drift(x, t) - self.weight * speed * score",
        "The drift is turned round although the time runs backwards.",
        ("tests/test_sampling.py::test_moments_of_the_reverse_walk",),
    ),
    Fault(
        "flow-half",
        "rgen/_term.py",
        "_ReverseDrift(process, score, 0.5)",
        "_ReverseDrift(process, score, 1.0)",
        "The probability flow lacks its factor 1/2.",
        ("tests/test_sampling.py::test_ornstein_uhlenbeck_model",),
    ),
    Fault(
        "unprojected-field",
        "rgen/_term.py",
        "return self.manifold.to_tangent(x, self.field(x, t))",
        "return self.field(x, t)",
        "A flow follows the normal part of its field.",
        ("tests/test_sampling.py::test_only_the_tangent_part_of_a_field_counts",),
    ),
    Fault(
        "unprojected-divergence",
        "rgen/_divergence/_exact.py",
        "jax.linearize(lambda y: manifold.to_tangent(y, f(y)), x)",
        "jax.linearize(f, x)",
        "The divergence is that of a field which is not projected.",
        ("tests/test_sampling.py::test_only_the_tangent_part_of_a_field_counts",),
    ),
    Fault(
        "unprojected-hutchinson",
        "rgen/_divergence/_hutchinson.py",
        "field = lambda y: manifold.to_tangent(y, f(y))",
        "field = f",
        "Hutchinson's estimate is that of a field which is not projected.",
        ("tests/test_sampling.py::test_only_the_tangent_part_of_a_field_counts",),
    ),
    Fault(
        "velocity-sign",
        "rgen/_velocity.py",
        "return length * (process.drift(x, t) - speed / 2 * score)",
        "return length * (speed / 2 * score - process.drift(x, t))",
        "The velocity of a flow points from the data to the noise.",
        (
            "tests/test_flow_map.py"
            "::test_the_flow_of_a_score_has_the_density_of_its_model",
        ),
    ),
    Fault(
        "time-direction",
        "rgen/_velocity.py",
        "return schedule.t1 * (1 - u) + schedule.t0 * u",
        "return schedule.t0 * (1 - u) + schedule.t1 * u",
        "The time of a flow runs from the data to the noise.",
        (
            "tests/test_flow_map.py"
            "::test_the_flow_of_a_score_has_the_density_of_its_model",
        ),
    ),
    # Solvers
    Fault(
        "heun-transport",
        "rgen/_solver/_geodesic_heun.py",
        "second = self.manifold.transport(predicted, y0, second)",
        "second = self.manifold.to_tangent(y0, second)",
        "Heun's method projects the second vector, where it should transport it.",
        (
            "tests/test_few_steps.py"
            "::test_one_step_on_the_clock_is_exact_for_a_point[S2, Linear, Heun]",
        ),
    ),
    Fault(
        "munthe-kaas-derivative",
        "rgen/_solver/_munthe_kaas.py",
        "return jax.jvp(log, (z,), (self.term.vf(t, z, args),))[1]",
        "return self.manifold.transport(z, self.y0, self.term.vf(t, z, args))",
        "Munthe-Kaas methods transport vectors, and leave out a Jacobian.",
        ("tests/test_geodesic_odes.py::test_order[S2, MK Tsit5]",),
    ),
    Fault(
        "clock-pace",
        "rgen/_flow_solver/_clock.py",
        "return 2 / (sigma * _growth(schedule, t))",
        "return 1 / (sigma * _growth(schedule, t))",
        "The clock of the noise level runs at half its pace.",
        (
            "tests/test_few_steps.py"
            "::test_one_step_on_the_clock_is_exact_in_flat_space[GeodesicRandomWalk]",
        ),
    ),
    Fault(
        "multistep-coefficient",
        "rgen/_flow_solver/_denoising_multistep.py",
        "share = (level - level_after) / (2 * jnp.where(width == 0, jnp.inf, width))",
        "share = (level - level_after) / jnp.where(width == 0, jnp.inf, width)",
        "The multistep solver extrapolates twice as far as it should.",
        ("tests/test_few_steps.py::test_order[normal, multistep]",),
    ),
    Fault(
        "multistep-equal-steps",
        "rgen/_flow_solver/_denoising_multistep.py",
        "share = (level - level_after) / (2 * jnp.where(width == 0, jnp.inf, width))",
        "share = jnp.where(jnp.isinf(width), 0, 0.5 * jnp.ones_like(width))",
        "The multistep solver takes every step to be as long as the one before.",
        (
            "tests/test_few_steps.py::test_order_of_the_multistep_solver_on_uneven_steps",
        ),
    ),
    Fault(
        "multistep-coordinates",
        "rgen/_flow_solver/_denoising_multistep.py",
        "estimate = d + broadcast(share) * (d - (at + moved))",
        "estimate = d + broadcast(share) * (d - moved)",
        "The multistep solver forgets the way from the point of the step before.",
        ("tests/test_few_steps.py::test_order[normal, multistep]",),
    ),
    Fault(
        "adams-unknown-values",
        "rgen/_flow_solver/_adams_bashforth_moulton.py",
        "others = known & ~jnp.eye(len(times), dtype=bool)",
        "others = ~jnp.eye(len(times), dtype=bool)",
        "The predictor-corrector solver interpolates values that it has not seen.",
        (
            "tests/test_adams_bashforth_moulton.py"
            "::test_polynomials_of_time_are_exact_from_the_values_of_a_step_on[1-equal]",
        ),
    ),
    Fault(
        "adams-error-estimate",
        "rgen/_flow_solver/_adams_bashforth_moulton.py",
        "return fs, times, known & (older > 1)",
        "return fs, times, known & (older > 0)",
        "The predictor-corrector solver estimates its error to be zero.",
        (
            "tests/test_adams_bashforth_moulton.py"
            "::test_adaptive_steps_and_what_they_cost[1]",
        ),
    ),
    Fault(
        "steps-share-noise",
        "rgen/_solver/_brownian_grid.py",
        "normal = self.increments[index]",
        "normal = self.increments[0]",
        "All steps of a path have the noise of the first.",
        ("tests/test_solver.py::test_brownian_grid_increments",),
    ),
    Fault(
        "noise-speed",
        "rgen/_solver/_noise_term.py",
        "return y, jnp.sqrt(self.beta(t))",
        "return y, self.beta(t)",
        "The noise is scaled by the speed and not by its root.",
        ("tests/test_sampling.py::test_moments_of_the_reverse_walk",),
    ),
    # Samplers
    Fault(
        "paths-share-noise",
        "rgen/_model/_score_model.py",
        "self.sampler(self.score, self.process, x, sampler_key)",
        "self.sampler(self.score, self.process, x, jr.key(0))",
        "All paths of a reverse SDE have the same noise.",
        ("tests/test_sampling.py::test_moments_of_the_reverse_walk",),
    ),
    Fault(
        "last-time",
        "rgen/_sampler/_reverse_sde.py",
        "walk(terms, solver, x, times, self.adjoint)",
        "walk(terms, solver, x, times[:-1], self.adjoint)",
        "The reverse walk stops one step before the end.",
        ("tests/test_sampling.py::test_moments_of_the_reverse_walk",),
    ),
    Fault(
        "churn-noise",
        "rgen/_sampler/_churn.py",
        "added = schedule.variance(raised) - schedule.variance(t)",
        "added = schedule.variance(raised)",
        "Churn adds the variance of the raised level to that which is there.",
        (
            "tests/test_few_steps.py"
            "::test_samples_have_the_distribution_of_the_data[churn]",
        ),
    ),
    # Losses
    Fault(
        "step-target-drift",
        "rgen/losses/_denoising_step.py",
        "target = manifold.log(x, manifold.exp(x_s, drift)) / delta",
        "target = manifold.log(x, x_s) / delta",
        "The target of the denoising step is without the drift.",
        (
            "tests/test_losses.py"
            "::test_the_last_step_of_a_walk_with_a_drift_has_the_score_of_the_walk",
        ),
    ),
    Fault(
        "weight-squared",
        "rgen/losses/_weights.py",
        "return process.broadcast(jnp.sqrt(weight(process, t)))",
        "return process.broadcast(weight(process, t))",
        "Losses are weighted by the square of the weight.",
        ("tests/test_losses.py::test_a_weight_multiplies_the_loss",),
    ),
    Fault(
        "implicit-half",
        "rgen/losses/_implicit.py",
        "return manifold.inner(x, s, s) + 2 * change",
        "return manifold.inner(x, s, s) + change",
        "The implicit loss has half of its divergence.",
        ("tests/test_losses.py::test_losses_differ_by_a_constant[T2]",),
    ),
    Fault(
        "sliced-sign",
        "rgen/losses/_sliced.py",
        "return manifold.inner(x, u, s) ** 2 + 2 * slope",
        "return manifold.inner(x, u, s) ** 2 - 2 * slope",
        "The divergence in the sliced loss has the wrong sign.",
        ("tests/test_losses.py::test_losses_differ_by_a_constant[T2]",),
    ),
    Fault(
        "teacher-gradient",
        "rgen/_velocity.py",
        "return jax.lax.stop_gradient(manifold.to_tangent(x, value))",
        "return manifold.to_tangent(x, value)",
        "The loss of a flow map trains its teacher.",
        ("tests/test_flow_map.py::test_no_gradient_is_taken_through_the_teacher",),
    ),
    Fault(
        "eulerian-sign",
        "rgen/losses/_eulerian.py",
        "moved + jax.lax.stop_gradient(carried)",
        "moved - jax.lax.stop_gradient(carried)",
        "The transported velocity in the Eulerian loss has the wrong sign.",
        ("tests/test_flow_map.py::test_losses_of_the_exact_map_vanish[eulerian]",),
    ),
    Fault(
        "flow-matching-sign",
        "rgen/losses/_flow_matching.py",
        "evaluate_field(field, manifold, x, t)) - velocity",
        "evaluate_field(field, manifold, x, t)) + velocity",
        "Flow matching fits the velocity from the data to the noise.",
        ("tests/test_flows.py::test_flow_matching_is_a_regression",),
    ),
    # Guidance
    Fault(
        "guidance-twice",
        "rgen/_guidance/_classifier_free.py",
        "return base + weight.astype(base.dtype) * (",
        "return base + weight.astype(base.dtype) ** 2 * (",
        "The weight of the guidance is applied twice.",
        ("tests/test_conditions.py::test_guidance_combines_the_two_scores",),
    ),
    Fault(
        "resampled-weights",
        "rgen/_guidance/_twisted.py",
        "log_weights = jnp.where(low, -jnp.log(n), log_weights)",
        "log_weights = jnp.where(low, log_weights[index], log_weights)",
        "Particles that were resampled keep their weights.",
        (
            "tests/test_guidance.py"
            "::test_reconstruction_is_biased_and_particles_are_not",
        ),
    ),
    Fault(
        "guidance-ratio",
        "rgen/_guidance/_twisted.py",
        "-manifold.inner(x, push, push) / 2 - manifold.inner(x, push, noise)",
        "-manifold.inner(x, push, push) / 2 + manifold.inner(x, push, noise)",
        "The weight of a guided step has the noise with the wrong sign.",
        (
            "tests/test_guidance.py"
            "::test_reconstruction_is_biased_and_particles_are_not",
        ),
    ),
    # Models
    Fault(
        "model-divergence-sign",
        "rgen/_sampler/_probability_flow.py",
        "return log_prob + change, prior_cost + cost",
        "return log_prob - change, prior_cost + cost",
        "The divergence in the density of a score model has the wrong sign.",
        ("tests/test_sampling.py::test_ornstein_uhlenbeck_model",),
    ),
    Fault(
        "flow-divergence-sign",
        "rgen/_model/_flow.py",
        "return log_prob + change, base_cost + cost",
        "return log_prob - change, base_cost + cost",
        "The divergence in the density of a flow has the wrong sign.",
        ("tests/test_flows.py::test_the_field_that_matches_makes_the_law_of_the_data",),
    ),
    Fault(
        "map-determinant-sign",
        "rgen/_model/_flow_map.py",
        "log_prob = log_prob - jnp.linalg.slogdet(jacobian)[1]",
        "log_prob = log_prob + jnp.linalg.slogdet(jacobian)[1]",
        "The determinant in the density of a flow map has the wrong sign.",
        ("tests/test_flow_map.py::test_density_of_samples_and_of_points",),
    ),
    Fault(
        "consistency-time",
        "rgen/_model/_consistency_model.py",
        "t = process_time(schedule, jnp.asarray(u, x.dtype))",
        "t = process_time(schedule, 1 - jnp.asarray(u, x.dtype))",
        "A consistency model adds the noise of a time from the wrong end.",
        ("tests/test_flow_map.py::test_noise_of_a_consistency_model[times0]",),
    ),
    Fault(
        "moser-divergence-sign",
        "rgen/_model/_moser_flow.py",
        "return u, 1 - divergence",
        "return u, 1 + divergence",
        "The divergence in the density of a Moser flow has the wrong sign.",
        ("tests/test_flows.py::test_density_of_a_moser_flow",),
    ),
    Fault(
        "moser-time-direction",
        "rgen/_model/_moser_flow.py",
        "return u / (1 - t + t * jnp.maximum(ratio, self.floor))",
        "return u / (t + (1 - t) * jnp.maximum(ratio, self.floor))",
        "A Moser flow samples with its time swapped.",
        ("tests/test_flows.py::test_samples_of_a_moser_flow",),
    ),
    Fault(
        "chart-jacobian-power",
        "rgen/_chart/_stereographic.py",
        "return len(y) * (math.log(2)",
        "return (len(y) - 1) * (math.log(2)",
        "The Jacobian of the stereographic chart has the power d - 1.",
        ("tests/test_charts.py::test_log_det_is_the_determinant[stereographic]",),
    ),
    # Distributions
    Fault(
        "wrapped-normal-jacobian-power",
        "rgen/_distribution/_wrapped_normal.py",
        "power = manifold.dim - 1",
        "power = manifold.dim",
        "The windings of a wrapped normal have the Jacobian's power d.",
        ("tests/test_wrapped_normal.py::test_every_scale_on_spheres[float64-2]",),
    ),
    Fault(
        "kernel-mixture-weights",
        "rgen/_distribution/_kernel_mixture.py",
        "return log_sum_exp(jax.nn.log_softmax(self.log_weights) + each)",
        "return log_sum_exp(self.log_weights + each)",
        "The weights of a kernel mixture are not normalised.",
        (
            "tests/test_baselines.py"
            "::test_density_is_the_sum_over_centres_and_variances[1]",
        ),
    ),
    # Batches, checkpoints, data, metrics, symmetry
    Fault(
        "infinite-samples",
        "rgen/_sampler/_base.py",
        "jnp.all(jnp.isfinite(end))",
        "~jnp.any(jnp.isnan(end))",
        "An infinite sample in flat space counts as finished.",
        (
            "tests/test_bad_input.py::"
            "test_no_sampler_hides_a_field_that_is_not_finite[few steps-R3-inf]",
        ),
    ),
    Fault(
        "fixed-steps-hide-nan",
        "rgen/_solver/_solve.py",
        "finished = ended & jnp.all(jnp.stack(finite))",
        "finished = ended",
        "An ODE that is solved in fixed steps ends at NaN, and counts as finished.",
        (
            "tests/test_bad_input.py::"
            "test_no_sampler_hides_a_field_that_is_not_finite[fixed steps-S2-nan]",
        ),
    ),
    Fault(
        "chunks-share-keys",
        "rgen/_batch.py",
        "part_of(a, start, chunk_size)",
        "part_of(a, 0, chunk_size)",
        "All chunks of samples have the keys of the first.",
        ("tests/test_batch.py::test_samples_do_not_depend_on_the_chunks[closed form]",),
    ),
    Fault(
        "grid-that-rises",
        "rgen/_sampler/_grid.py",
        "never_rise = xp.all(xp.diff(times) <= 0)",
        "never_rise = xp.all(xp.isfinite(times))",
        "A sampler takes times in any order.",
        ("tests/test_few_steps.py::test_a_grid_of_wrong_times[order]",),
    ),
    Fault(
        "eulerian-weight",
        "rgen/losses/_eulerian.py",
        "error = root(weight, process, at_s) * error",
        "error = root(weight, process, process_time(process.schedule, t)) * error",
        "The Eulerian loss has the weight of the other time.",
        (
            "tests/test_flow_map.py::"
            "test_a_weight_is_that_of_a_time_of_the_process[eulerian]",
        ),
    ),
    Fault(
        "semigroup-target",
        "rgen/losses/_semigroup.py",
        "target = jax.lax.stop_gradient(step(step(x_s, s, r), r, t))",
        "target = step(step(x_s, s, r), r, t)",
        "The semigroup loss has a gradient through its target.",
        (
            "tests/test_flow_map.py::"
            "test_no_gradient_is_taken_through_the_target[semigroup]",
        ),
    ),
    Fault(
        "checkpoint-order",
        "rgen/_checkpoint.py",
        "        _compare_order(path, list(found), list(expected))\n",
        "",
        "Two arrays of a class that changed places are loaded swapped.",
        ("tests/test_checkpoint.py::test_arrays_that_changed_places_are_refused",),
    ),
    Fault(
        "checkpoint-in-place",
        "rgen/_checkpoint.py",
        """        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
""",
        """        with open(path, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
""",
        "A checkpoint is written in place of the one before.",
        ("tests/test_checkpoint.py::test_a_full_disk_leaves_the_file_that_was_there",),
    ),
    Fault(
        "leaking-groups",
        "rgen/datasets/_split.py",
        """    order, cuts = _deal(key, len(names), fractions, what)
    rows = [np.isin(index, part)""",
        """    order, cuts = _deal(key, len(index), fractions, what)
    rows = [np.isin(np.arange(len(index)), part)""",
        "A split by groups deals out rows, and groups are in two parts.",
        ("tests/test_datasets.py::test_group_split",),
    ),
    Fault(
        "overlapping-split",
        "rgen/datasets/_split.py",
        "return jr.permutation(key, n), cuts[:-1].tolist()",
        "return jr.randint(key, (n,), 0, n), cuts[:-1].tolist()",
        "A random split deals out rows with replacement.",
        ("tests/test_datasets.py::test_random_split",),
    ),
    Fault(
        "minibatch-range",
        "rgen/datasets/_split.py",
        "rows = jr.randint(key, (size,), 0, n)",
        "rows = jr.randint(key, (size,), 0, n - 1)",
        "A minibatch never has the last row.",
        ("tests/test_datasets.py::test_minibatch",),
    ),
    Fault(
        "biased-mmd",
        "rgen/metrics/_squared_mmd.py",
        """        values = jnp.where(jnp.eye(len(a), dtype=bool), -jnp.inf, values)
        return values - math.log(len(a) * (len(a) - 1))""",
        "        return values - math.log(len(a) * len(a))",
        "The squared MMD keeps the pairs of a point and itself.",
        ("tests/test_metrics.py::test_the_statistic_is_the_squared_mmd[Torus(2)]",),
    ),
    Fault(
        "p-value",
        "rgen/metrics/_permutation_test.py",
        "p_value = ((1 + beyond) / (1 + permutations)).astype(x.dtype)",
        "p_value = (beyond / permutations).astype(x.dtype)",
        "A p-value leaves out the partition that was observed, and may be zero.",
        ("tests/test_metrics.py::test_the_fewest_points_and_permutations",),
    ),
    Fault(
        "orbit-mean",
        "rgen/symmetry/_symmetrised.py",
        "return jax.nn.logsumexp(each) - jnp.log(self.group.order), total(costs)",
        "return jax.nn.logsumexp(each), total(costs)",
        "A symmetrised density is a sum over the group, where it should be a mean.",
        (
            "tests/test_symmetry.py"
            "::test_the_density_is_invariant_and_has_the_mass_one[antipodes]",
        ),
    ),
    Fault(
        "pull-back",
        "rgen/symmetry/_finite_group.py",
        "return (self.matrices[index].astype(v.dtype).T @ jnp.ravel(v))",
        "return (self.matrices[index].astype(v.dtype) @ jnp.ravel(v))",
        "A symmetrised field is pushed forward, where it should be pulled back.",
        ("tests/test_symmetry.py::test_the_average_of_a_field_is_equivariant[32]",),
    ),
]


def copied(folder: pathlib.Path) -> pathlib.Path:
    """A copy of the repository, of which Python imports the package."""
    listed = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, names.stdout.split("\0")):
        # A file that is deleted is listed until that is committed.
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    # Compiled programs are kept by what they compute, with a fault or without.
    cache = ROOT / ".pytest_cache"
    cache.mkdir(exist_ok=True)
    (folder / cache.name).symlink_to(cache)
    where = "import importlib.util as u; print(u.find_spec('rgen').origin)"
    found = run(["-c", where], folder).stdout.strip()
    if found != str(folder / "rgen" / "__init__.py"):
        sys.exit(f"expected Python to import the copy of rgen, got {found}")
    return folder


def run(arguments: list[str], folder: pathlib.Path) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    # Processes that a test starts find the copy too.
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )


def first_failure(tests: list[str], folder: pathlib.Path) -> str | None:
    """The first of the tests that fails in a copy. Whatever else goes wrong ends the
    script."""
    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider"]
    everything = ["-m", "slow or not slow"]
    found = run(["-m", "pytest", *options, *everything, *tests], folder)
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", found.stdout, flags=re.MULTILINE)
    if found.returncode == 0 and failed is None:
        return None
    if found.returncode == 1 and failed is not None:
        return failed[1]
    sys.exit(f"no test failed, and pytest did not pass:\n{found.stdout}{found.stderr}")


@contextlib.contextmanager
def planted(fault: Fault, folder: pathlib.Path) -> Iterator[None]:
    path = folder / fault.file
    text = path.read_text("utf-8")
    if text.count(fault.old) != 1:
        sys.exit(f"{fault.name}: expected once in {fault.file}, got not: {fault.old}")
    path.write_text(text.replace(fault.old, fault.new), "utf-8")
    try:
        yield
    finally:
        path.write_text(text, "utf-8")


def trial(fault: Fault, folder: pathlib.Path) -> dict:
    """The line of a fault."""
    start = time.perf_counter()
    with planted(fault, folder):
        by = first_failure(list(fault.tests), folder)
    seconds = round(time.perf_counter() - start, 1)
    line = {"fault": fault.name, "file": fault.file, "what": fault.what}
    return line | {"caught": by is not None, "by": by, "seconds": seconds}


def read_lines(output: pathlib.Path | None) -> dict[str, dict]:
    if output is None or not output.exists():
        return {}
    lines = map(json.loads, output.read_text("utf-8").splitlines())
    return {line["fault"]: line for line in lines}


def chosen(names: list[str], today: int | None) -> list[Fault]:
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"expected names of faults, got {unknown}; there are {[*known]}")
    faults = [known[name] for name in names] or FAULTS
    if today is None:
        return faults
    return random.Random(datetime.date.today().isoformat()).sample(faults, today)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of faults; all by default")
    parser.add_argument("--today", type=int, help="how many, chosen by the date")
    parser.add_argument("--sound", action="store_true", help="first without a fault")
    parser.add_argument("--output", type=pathlib.Path, help="a file to add lines to")
    arguments = parser.parse_args()
    faults = chosen(arguments.names, arguments.today)
    lines = read_lines(arguments.output)
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(pathlib.Path(folder).resolve())
        tests = dict.fromkeys(test for fault in faults for test in fault.tests)
        if arguments.sound and (failed := first_failure([*tests], copy)):
            sys.exit(f"{failed} fails without a fault")
        for fault in faults:
            if fault.name in lines:
                continue
            lines[fault.name] = trial(fault, copy)
            print(json.dumps(lines[fault.name]), flush=True)
            if arguments.output is not None:
                with open(arguments.output, "a", encoding="utf-8") as file:
                    file.write(json.dumps(lines[fault.name]) + "\n")
    missed = [fault.name for fault in faults if not lines[fault.name]["caught"]]
    if missed:
        sys.exit(f"noticed by no test: {', '.join(missed)}")


if __name__ == "__main__":
    main()
