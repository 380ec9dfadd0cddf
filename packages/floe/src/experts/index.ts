export { ExpertSlots } from './slots.ts';
