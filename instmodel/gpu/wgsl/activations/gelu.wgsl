// x F(x), F the normal distribution function. F(-a) is e^(-a a / 2) times a quotient of polynomials,
// whose coefficients are those of the CPU (csrc/vmath.h), rounded. At -infinity the formula is
// -infinity times 0: NaN.
fn instmodel_gelu(x: f32) -> f32 {
    if (instmodel_is_nan(x) || (instmodel_is_infinite(x) && x < 0.0)) {
        return instmodel_nan(x);
    }
    let a = min(abs(x), 14.0);
    var over = fma(a, 7.1629502e-4, 1.0010383e-2);
    over = fma(over, a, 6.4152335e-2);
    over = fma(over, a, 0.23384002);
    over = fma(over, a, 0.48894065);
    over = fma(over, a, 0.5);
    var under = fma(a, 1.7954913e-3, 2.5091949e-2);
    under = fma(under, a, 0.16261134);
    under = fma(under, a, 0.61108371);
    under = fma(under, a, 1.3845361);
    under = fma(under, a, 1.7757659);
    under = fma(under, a, 1.0);
    // What a a loses to rounding, at 5 and beyond, would be many ULP of the power: it is added to it.
    let square = instmodel_rounded(a * a);
    let power = instmodel_power_of_e(-0.5 * square);
    let tail = fma(power, -0.5 * instmodel_square_error(a, square), power) * over / under;
    return x * select(1.0 - tail, tail, x < 0.0);
}

// a a - square, where square is a a rounded. a is split into halves of 12 bits, whose products are
// exact (Dekker, "A floating-point technique for extending the available precision", 1971); fma
// would do, if WGSL promised to round once.
fn instmodel_square_error(a: f32, square: f32) -> f32 {
    let high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
    let low = instmodel_rounded(a - high);
    let first = instmodel_rounded(instmodel_rounded(high * high) - square);
    return instmodel_rounded(first + 2.0 * high * low) + low * low;
}
