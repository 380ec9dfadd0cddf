import lanesSubgroup from '#shaders/parts/lanes_subgroup.wgsl';
import lanesWorkgroup from '#shaders/parts/lanes_workgroup.wgsl';
import type { Device, ShaderPart } from '../gpu/index.ts';

/** How the lanes of a cooperative kernel add up on this device. */
export function lanesPart(device: Device): ShaderPart {
  return device.hasSubgroups ? lanesSubgroup : lanesWorkgroup;
}
