// log10(x + 1) for x > 0, else 0, for NaN too.
fn instmodel_log10(x: f32) -> f32 {
    return instmodel_log(x) * 0.43429448;
}
