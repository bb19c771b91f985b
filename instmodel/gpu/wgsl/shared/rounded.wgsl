// Compilers reassociate: they turn (a + b) - a into b, and n c + n d into n (c + d), which undoes
// sums that keep their rounding error. They cannot see through an exclusive or with a zero that
// they do not know: instmodel_run takes it from a model's magic number.

var<private> instmodel_zero: u32;

fn instmodel_know_zero(model: u32) {
    instmodel_zero = instmodel_word(model) ^ 0x494d5047u;
}

// x, rounded to float32 before anything else is done with it.
fn instmodel_rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ instmodel_zero);
}
