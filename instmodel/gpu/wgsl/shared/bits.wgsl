// Tests on bits: a compiler may assume that no float is NaN or infinite, and drop `x != x`.

fn instmodel_is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn instmodel_is_infinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// NaN, made of any infinity or NaN: at run time, because WGSL refuses to compute it before.
fn instmodel_nan(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
}

// Denormal numbers count as 0 of their sign, as on the CPU; a GPU may or may not do so by itself.
fn instmodel_flush(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    return select(x, bitcast<f32>(bits & 0x80000000u), (bits & 0x7f800000u) == 0u);
}
