// ln(x + 1) for x > 0, else 0, for NaN too.
fn instmodel_log(x: f32) -> f32 {
    if (instmodel_is_nan(x) || x <= 0.0) {
        return 0.0;
    }
    if (instmodel_is_infinite(x)) {
        return x;
    }
    return instmodel_log1p(x);
}
