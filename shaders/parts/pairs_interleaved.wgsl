// Dimensions 2i and 2i + 1 turn together (llama, arctic: conversion to GGUF permuted q and k so).
fn turnOf(dim: u32, ropeDim: u32) -> Turn { return Turn(dim / 2u, dim ^ 1u, select(1.0, -1.0, dim % 2u == 0u)); }
