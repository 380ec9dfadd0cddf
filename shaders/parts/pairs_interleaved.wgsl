// Dimensions 2i and 2i + 1 turn together (llama, arctic: conversion to GGUF permuted q and k so).
fn pairOf(pair: u32) -> vec2u { return vec2u(2u * pair, 2u * pair + 1u); }
