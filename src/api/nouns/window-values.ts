import { z } from 'zod'
import { WINDOW_STATES } from '../../ledger/window-state.ts'
import { count, instant } from '../values.ts'

export const ledgerWindow = z.object({
  jobId: z.string(),
  start: instant,
  end: instant,
  state: z.enum(['queued', 'running', ...WINDOW_STATES]),
  runId: z.number().int().optional(),
  attempt: count.optional(),
  error: z.string().optional(),
  waitsFor: z.object({ jobId: z.string(), at: instant }).optional(),
})
