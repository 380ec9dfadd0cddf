// Dimensions i and i + ropeDim / 2 turn together; what is behind ropeDim stays as it is, in pairs of neighbours.
fn pairOf(pair: u32) -> vec2u {
  if (2u * pair < params.ropeDim) { return vec2u(pair, pair + params.ropeDim / 2u); }
  return vec2u(2u * pair, 2u * pair + 1u);
}
