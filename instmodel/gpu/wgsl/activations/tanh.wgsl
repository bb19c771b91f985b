// tanh x: by its Taylor series up to x^13 below 0.4, whose rest is below 1e-8 of it, and else
// 1 - 2 / (e^2|x| + 1) with the sign of x. Beyond 10 it is 1.
fn instmodel_tanh(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    let a = min(abs(x), 10.0);
    if (a < 0.4) {
        let q = x * x;
        var p = fma(q, 3.5921280e-3, -8.8632355e-3);
        p = fma(p, q, 2.1869489e-2);
        p = fma(p, q, -5.3968254e-2);
        p = fma(p, q, 0.13333333);
        p = fma(p, q, -0.33333333);
        return fma(p * q, x, x);
    }
    let y = 1.0 - 2.0 / (instmodel_power_of_e(2.0 * a) + 1.0);
    return select(y, -y, x < 0.0);
}
