import lanesSubgroup from '#shaders/parts/lanes_subgroup.wgsl';
import lanesWorkgroup from '#shaders/parts/lanes_workgroup.wgsl';
import type { Device, ShaderPart } from '../gpu/index.ts';

/** How the lanes of a cooperative kernel add up on this device. */
export function lanesPart(device: Device): ShaderPart {
  return device.hasSubgroups ? lanesSubgroup : lanesWorkgroup;
}

/** Invocations of a cooperative workgroup: LANES_WORKGROUP of both parts. */
const LANES_WORKGROUP = 64;

/** Sets of lanes that a workgroup holds at the least: a subgroup may be smaller than the adapter's largest, never larger. */
export function setsPerWorkgroup(device: Device): number {
  if (!device.hasSubgroups) return 1;
  return Math.max(1, Math.floor(LANES_WORKGROUP / device.adapter.subgroupMaxSize));
}
