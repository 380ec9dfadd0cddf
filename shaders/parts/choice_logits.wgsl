// Ranked by logits, weighted exp(logit - greatest): with the sum of the chosen divided out, a softmax over all of them or
// over the chosen alone.
struct Choice { none: u32 }
fn choiceOf(row: u32) -> Choice { return Choice(0u); }
fn scoreOf(choice: Choice, row: u32, expert: u32) -> f32 { return ordered(logits[row + expert]); }
fn weightOf(choice: Choice, row: u32, expert: u32, mine: f32, greatest: f32) -> f32 { return exp(max(mine - greatest, -80.0)); }
