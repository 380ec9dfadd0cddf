/**
 * Resolves behind the messages and tasks that wait now: whoever they are for has had its say. A timer would not do:
 * browsers hold those back for milliseconds.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
