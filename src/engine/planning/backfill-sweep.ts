import type { Store } from '../../store/store.ts'

/** Cancels the open windows of a backfill that is being cancelled. Returns true when none are left. */
export async function sweep(store: Store, id: number): Promise<boolean> {
  const asked = new Set<number>()
  await store.backfills.cancelWaiting(id)
  for (;;) {
    const open = await store.backfills.openRuns(id)
    if (open.length === 0) {
      await store.backfills.change(id, ['cancelling'], 'cancelled')
      return true
    }
    const ids = open.filter((runId) => !asked.has(runId))
    // The remaining runs are being executed, so their nodes end them.
    if (ids.length === 0) return false
    for (const runId of ids) asked.add(runId)
    await store.cancels.request({ ids })
  }
}
