// ln(1 + x) for finite x >= 0; about 3 ULP. 1 + x = 2^n m with m near 1, and with
// s = (m - 1) / (m + 1), |s| < 0.172: ln(m) = 2 (s + s^3/3 + s^5/5 + ...), the rest below 1e-9.
// A small x is never added to 1, which would lose its last bits: there s = x / (2 + x).
fn instmodel_log1p(x: f32) -> f32 {
    var n = 0.0;
    var s = x / (2.0 + x);
    if (x > 0.41421356) {
        let bits = bitcast<u32>(1.0 + x);
        let exponent = (bits - 0x3f3504f3u) >> 23u; // of √½ = 0x3f3504f3 and above
        let m = bitcast<f32>(bits - (exponent << 23u));
        n = f32(exponent);
        s = (m - 1.0) / (m + 1.0);
    }
    let q = s * s;
    var p = fma(q, 0.11111111, 0.14285714);
    p = fma(p, q, 0.2);
    p = fma(p, q, 0.33333333);
    p = fma(p * q, s, s);
    return fma(n, 0.69314718, 2.0 * p);
}
