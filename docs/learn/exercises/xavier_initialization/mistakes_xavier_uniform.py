import math


def takes_the_std_for_the_bound(fan_in, fan_out, rng):
    """your std is sqrt(3) too small: a uniform law on (-b, b) has the std b/sqrt(3), so b is larger than the std"""
    std = math.sqrt(2 / (fan_in + fan_out))
    return rng.uniform(-std, std, (fan_out, fan_in))


def adds_the_fans(fan_in, fan_out, rng):
    """your std is sqrt(2) too small: the two fans are averaged, not added"""
    bound = math.sqrt(3 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, (fan_out, fan_in))


def takes_fan_in_alone(fan_in, fan_out, rng):
    """your std fits fan_in alone: the way back needs fan_out too"""
    bound = math.sqrt(3 / fan_in)
    return rng.uniform(-bound, bound, (fan_out, fan_in))


def draws_from_a_normal_law(fan_in, fan_out, rng):
    """some weights lie beyond the bound of a uniform law of this std: is your law normal?"""
    return rng.normal(0, math.sqrt(2 / (fan_in + fan_out)), (fan_out, fan_in))


def turns_the_shape_round(fan_in, fan_out, rng):
    """the shape is turned round: outputs come first"""
    bound = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, (fan_in, fan_out))
