// 1 / x. WGSL lets a division be off by 2.5 ULP for |x| of 2^-126 … 2^126 and says nothing of others:
// beyond, the quotient would be denormal and counts as 0; denormal numbers count as 0 and give
// infinity.
fn instmodel_reciprocal(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    let size = bitcast<u32>(x) & 0x7fffffffu;
    let sign = bitcast<u32>(x) & 0x80000000u;
    if (size < 0x00800000u) {
        return bitcast<f32>(sign | 0x7f800000u);
    }
    if (size > 0x7e800000u) {
        return bitcast<f32>(sign);
    }
    return 1.0 / x;
}
