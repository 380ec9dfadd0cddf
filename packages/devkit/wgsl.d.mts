import type { Plugin } from 'vite';

export function wgslPlugin(): Plugin;
export function shaderTypes(): string;
