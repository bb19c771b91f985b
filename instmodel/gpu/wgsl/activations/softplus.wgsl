// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), which neither overflows nor cancels.
fn instmodel_softplus(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    return max(x, 0.0) + instmodel_log1p(instmodel_power_of_e(-abs(x)));
}
