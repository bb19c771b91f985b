// The words of the model, as integers: no driver can take them for denormal floats.

@group(0) @binding(0)
var<storage, read> instmodel_data: array<u32>;

fn instmodel_word(index: u32) -> u32 {
    return instmodel_data[index];
}

fn instmodel_value(index: u32) -> f32 {
    return bitcast<f32>(instmodel_data[index]);
}
