/** A thread that is given several calls at once, as Piscina's threads are when they wake late. */
import { parentPort } from 'node:worker_threads'
import { runCall, type ThreadCall } from '../../../worker/compute/unit-thread.js'

parentPort!.on('message', (calls: readonly ThreadCall[]) => {
  calls.forEach(async (call, i) => {
    await runCall(call)
    parentPort!.postMessage(i)
  })
})
