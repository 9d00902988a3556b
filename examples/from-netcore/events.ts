// Netcore's `on`, `once`, `off`, `emit`; listeners may be async, and one that fails does not keep the others from running.
import { Emitter } from 'piko/link'

const events = new Emitter<{ price: number }>((error, name) => console.log('reported', name, (error as Error).message))

events.once('price', (price) => console.log('once', price))
events.on('price', async () => {
  await Promise.resolve()
  throw new Error('broken')
})
const off = events.on('price', async (price) => {
  await Promise.resolve()
  console.log('on', price)
})

await events.emit('price', 1)
await events.emit('price', 2)
off()
events.off('price')
await events.emit('price', 3)
