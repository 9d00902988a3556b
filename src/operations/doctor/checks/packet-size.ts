import { check } from '../check.ts'
import { sizeText } from '../finding.ts'

const WANTED_BYTES = 16 * 1_024 ** 2

/** Finds a server that accepts only small statements. Large inputs and outputs of runs are then refused. */
export const packetSize = check({
  id: 'packet-size',
  needs: ['server'],
  find: ({ server: { store, global, location } }) => {
    const bytes = Number(global['max_allowed_packet'] ?? WANTED_BYTES)
    if (store === 'sqlite' || bytes >= WANTED_BYTES) return []
    return [
      {
        id: 'packet-size',
        severity: 'warning',
        found: `max_allowed_packet of ${location} is ${sizeText(bytes)}: larger inputs, outputs and rows of sinks are refused; expected at least ${sizeText(WANTED_BYTES)}`,
        remedy: 'SET GLOBAL max_allowed_packet = 67108864; and in my.cnf, [mysqld]: max_allowed_packet = 64M',
      },
    ]
  },
})
