/**
 * The functions that every circuit here is made of, in Noir 1.0.0-beta.26. A value that a hint gives is held by the
 * constraints beside it: nothing is believed of the prover.
 */
export const NOIR_LIBRARY = `
fn sponge<let N: u32>(input: [Field; N]) -> Field {
    let mut state: [Field; 4] = [0, 0, 0, (N as Field) * 0x10000000000000000];
    let full = N / 3;
    for i in 0..full {
        state[0] += input[3 * i];
        state[1] += input[3 * i + 1];
        state[2] += input[3 * i + 2];
        state = std::hash::poseidon2_permutation(state);
    }
    let rest = N % 3;
    if rest != 0 {
        for j in 0..rest { state[j] += input[3 * full + j]; }
        state = std::hash::poseidon2_permutation(state);
    }
    state[0]
}

// Holds every value to BITS bits, raised by lift, and packs PER of them into an element.
fn pack<let N: u32, let M: u32, let BITS: u32, let PER: u32>(values: [Field; N], lift: Field) -> [Field; M] {
    let mut base: Field = 1;
    for _ in 0..BITS { base = base * 2; }
    let mut packed = [0; M];
    for m in 0..M {
        let mut place: Field = 1;
        let mut sum: Field = 0;
        for j in 0..PER {
            let i = m * PER + j;
            if i < N {
                let raised = values[i] + lift;
                raised.assert_max_bit_size::<BITS>();
                sum += raised * place;
                place *= base;
            }
        }
        packed[m] = sum;
    }
    packed
}

unconstrained fn hint_sign(x: Field, half: Field) -> Field {
    if ((x + half) as u128) >= (half as u128) { 1 } else { 0 }
}

// Whether x is at least 0, and x where it is: x is below 2^BITS in magnitude, and half is 2^BITS.
fn sign<let BITS: u32>(x: Field, half: Field) -> (Field, Field) {
    // Safety: s is 0 or 1, and of x and -x-1 the one that it names is of BITS bits, so not negative.
    let s = unsafe { hint_sign(x, half) };
    assert(s * s == s);
    let kept = s * x;
    (2 * kept - x - 1 + s).assert_max_bit_size::<BITS>();
    (s, kept)
}

fn relu<let BITS: u32>(x: Field, half: Field) -> Field {
    let (_s, kept) = sign::<BITS>(x, half);
    kept
}

unconstrained fn hint_argmax<let N: u32>(values: [Field; N], half: Field) -> u32 {
    let mut best: u32 = 0;
    for j in 1..N {
        if ((values[j] + half) as u128) > ((values[best] + half) as u128) { best = j; }
    }
    best
}

// The index of the greatest value, the first of equals: none is greater, and those before it are less.
fn argmax<let N: u32, let BITS: u32>(values: [Field; N], half: Field) -> Field {
    // Safety: the index is one of 0..N, and every difference from its value is of BITS bits, so not negative.
    let index = unsafe { hint_argmax(values, half) };
    let greatest = values[index];
    let at = index as Field;
    let mut before: Field = 1;
    let mut count: Field = 0;
    for j in 0..N {
        let here = (at == (j as Field)) as Field;
        before -= here;
        count += here;
        (greatest - values[j] - before).assert_max_bit_size::<BITS>();
    }
    assert(count == 1);
    at
}
`;
