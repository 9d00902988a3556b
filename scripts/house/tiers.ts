import type { Tiers } from './figures.ts'
import tiers from './tiers.json' with { type: 'json' }

/**
 * The direction of imports in `src/`, lowest tier first: a room may import every tier before its own, type imports included. Rooms of
 * one tier do not import each other. `.dependency-cruiser.cjs` makes a rule for each pair of rooms from the same table.
 */
export const TIERS: Tiers = tiers
