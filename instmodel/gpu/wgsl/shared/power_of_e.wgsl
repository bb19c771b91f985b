// e^x for x <= 88, not NaN; 0 where the result would be denormal. About 2 ULP, where WGSL's own exp
// may be off by 3 + 2|x|. x = n ln(2) + r with |r| <= ln(2)/2, ln(2) in two parts of which the first
// has few bits; e^r by its Taylor series up to r^7, whose rest is below 6e-9.
fn instmodel_power_of_e(x: f32) -> f32 {
    if (x < -87.33654) {
        return 0.0;
    }
    let n = round(x * 1.44269504);
    let r = fma(n, -1.42860682e-6, instmodel_rounded(fma(n, -0.69314575, x)));
    var p = fma(r, 1.9841270e-4, 1.3888889e-3);
    p = fma(p, r, 8.3333333e-3);
    p = fma(p, r, 4.1666667e-2);
    p = fma(p, r, 0.16666667);
    p = fma(p, r, 0.5);
    p = fma(p, r, 1.0);
    p = fma(p, r, 1.0);
    return p * bitcast<f32>(u32(i32(n) + 127) << 23u);
}
