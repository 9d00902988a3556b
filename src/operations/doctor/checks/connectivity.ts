import { check } from '../check.ts'

const SLOW_MS = 50

/** Finds a slow connection to the database. If the database does not answer at all, `diagnose` reports that. */
export const connectivity = check({
  id: 'connectivity',
  needs: ['clock', 'server'],
  find: ({ clock: { latencyMs }, server: { location } }) =>
    latencyMs < SLOW_MS
      ? []
      : [
          {
            id: 'connectivity.slow',
            severity: 'warning',
            found: `a round trip to ${location} takes at least ${Math.round(latencyMs)} ms; a claim needs several, so every run starts late`,
            remedy: `run the nodes in the network of the database; measure with: ping ${location.split(/[:/]/)[0] ?? ''}`,
          },
        ],
})
