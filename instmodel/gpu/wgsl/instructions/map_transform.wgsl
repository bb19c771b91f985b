// out = the values under the key in[0], or the default. A map is p1 ascending keys, then the values
// of each; both it and the default lie in the section of the maps.
fn instmodel_map_transform(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let maps = instmodel_maps(model);
    let keys = maps + op.p0;
    var values = maps + op.p2;
    let x = instmodel_get(buffer, op.input);
    // NaN, infinities and what int32 cannot hold have no key.
    if (!instmodel_is_nan(x) && x >= -2147483648.0 && x < 2147483648.0) {
        let key = instmodel_round(x);
        // The first place whose key is not smaller.
        var low = 0u;
        var high = op.p1;
        while (low < high) {
            let middle = (low + high) / 2u;
            if (bitcast<i32>(instmodel_word(keys + middle)) < key) {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
        if (low < op.p1 && bitcast<i32>(instmodel_word(keys + low)) == key) {
            values = keys + op.p1 + low * op.size;
        }
    }
    for (var i = 0u; i < op.size; i++) {
        instmodel_set(buffer, op.output + i, instmodel_value(values + i));
    }
}

// Halves away from 0. The difference is exact; x + 0.5 would not be.
fn instmodel_round(x: f32) -> i32 {
    let whole = trunc(x);
    return i32(whole) + select(0, select(-1, 1, x > 0.0), abs(x - whole) >= 0.5);
}
