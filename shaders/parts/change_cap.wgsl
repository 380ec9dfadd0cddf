// amount · tanh(value / amount) (Gemma 2). Built-in tanh is good to 1e-5 only, and may overflow.
fn change(value: vec4f, i: u32) -> vec4f {
  let t = exp(-2.0 * min(abs(value / params.amount), vec4f(20.0)));
  return sign(value) * params.amount * (1.0 - t) / (1.0 + t);
}
