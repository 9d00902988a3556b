import { expect, it, vi } from 'vitest'
import { Events } from '../src/events.ts'

it('calls listeners once, removes them, waits for async ones, and reports those that fail', async () => {
  const events = new Events()
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const seen: string[] = []
  const once = ({ nodeId }: { nodeId: string }): void => void seen.push(`once ${nodeId}`)
  events.once('node.stopped', once)
  events.on('node.stopped', () => {
    throw new Error('broken')
  })
  events.on('node.stopped', async ({ nodeId }) => {
    await new Promise((resolve) => setImmediate(resolve))
    seen.push(`on ${nodeId}`)
  })
  await events.emitAndWait('node.stopped', { nodeId: 'a' })
  await events.emitAndWait('node.stopped', { nodeId: 'b' })
  expect(seen).toEqual(['once a', 'on a', 'on b'])
  expect(warned).toHaveBeenCalledTimes(2)
  const removed = vi.fn()
  events.once('node.stopped', removed)
  events.off('node.stopped', removed)
  events.emit('node.stopped', { nodeId: 'c' })
  expect(removed).not.toHaveBeenCalled()
  warned.mockRestore()
})
