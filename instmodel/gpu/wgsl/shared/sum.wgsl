// A sum that also adds up what its roundings lose (TwoSum; Knuth, The Art of Computer Programming,
// vol. 2, 4.2.2, theorem B): nearly as good as the CPU's sums in float64.

struct instmodel_sum {
    total: f32,
    lost: f32,
}

fn instmodel_plus(sum: instmodel_sum, x: f32) -> instmodel_sum {
    let total = instmodel_rounded(sum.total + x);
    let taken = instmodel_rounded(total - sum.total);
    let before = instmodel_rounded(total - taken);
    let lost = instmodel_rounded(sum.total - before) + instmodel_rounded(x - taken);
    return instmodel_sum(total, sum.lost + lost);
}

fn instmodel_sum_value(sum: instmodel_sum) -> f32 {
    if (instmodel_is_nan(sum.total) || instmodel_is_infinite(sum.total)) {
        return sum.total; // what was lost is NaN
    }
    return sum.total + sum.lost;
}
