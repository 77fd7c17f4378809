using System.Text;
using System.Text.Unicode;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace IntegrationServices.Changes;

/// <summary>
/// Takes the changes that systems report on queues (AMQP 0.9.1). A message is acknowledged when it is in the database, so what this process or the database
/// loses on the way is delivered again; it then counts once, by its id and by its version.
/// </summary>
internal sealed class Queues(
    ChangeStore store, Sources sources, ChangeMetrics metrics, IOptions<ChangesOptions> options, TimeProvider time, ILogger<Queues> logger) : BackgroundService
{
    private const string Source = "message";
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(options.Value.Queues.Select(queue => KeepAsync(queue.Key, queue.Value, stoppingToken)));

    private async Task KeepAsync(string system, QueueOptions queue, CancellationToken ct)
    {
        var retry = FirstRetry;
        sources.Fails(system, Source, "It has not been connected yet.");
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await ConsumeAsync(system, queue, () => retry = FirstRetry, ct);
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                var reason = exception.GetBaseException().Message;
                sources.Fails(system, Source, $"The queue {queue.Queue} at {queue.Address!.Host}: {reason}");
                logger.LogWarning("The queue {Queue} of {System} at {Host} cannot be read now, tried again in {Pause}: {Reason}", queue.Queue, system, queue.Address.Host, retry, reason);
                await Task.Delay(retry, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                retry = retry * 2 < LongestRetry ? retry * 2 : LongestRetry;
            }
            catch (Exception)
            {
                // This process stops; what is not acknowledged is delivered to whoever goes on.
                return;
            }
        }
    }

    /// <summary>Until the connection ends.</summary>
    private async Task ConsumeAsync(string system, QueueOptions queue, Action works, CancellationToken ct)
    {
        var factory = new ConnectionFactory { Uri = queue.Address!, AutomaticRecoveryEnabled = false, ClientProvidedName = $"mobile integration, changes of {system}" };
        await using var connection = await factory.CreateConnectionAsync(ct);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: ct);
        await channel.BasicQosAsync(0, (ushort)(2 * queue.Batch), global: false, ct);
        var arrived = Channel.CreateUnbounded<Message>(new() { SingleReader = true, SingleWriter = true });
        channel.ChannelShutdownAsync += (_, end) => Ended(end.ReplyText);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.UnregisteredAsync += (_, _) => Ended("the queue is gone");
        consumer.ReceivedAsync += (_, message) =>
        {
            // The body is the client's own after this.
            arrived.Writer.TryWrite(new(message.DeliveryTag, message.BasicProperties.MessageId, message.Body.ToArray()));
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(queue.Queue, autoAck: false, consumer, ct);
        sources.Works(system, Source);
        logger.LogInformation("The queue {Queue} of {System} is read", queue.Queue, system);

        var batch = new List<Message>(queue.Batch);
        while (await arrived.Reader.WaitToReadAsync(ct))
        {
            while (batch.Count < queue.Batch && arrived.Reader.TryRead(out var message))
            {
                batch.Add(message);
            }
            metrics.Count(system, Source, await store.TakeMessagesAsync(system, batch, ct));
            await channel.BasicAckAsync(batch[^1].Tag, multiple: true, ct);
            batch.Clear();
            works();
        }

        Task Ended(string reason)
        {
            arrived.Writer.TryComplete(new EndOfStreamException($"The broker ended it: {reason}"));
            return Task.CompletedTask;
        }
    }

    /// <param name="Tag">Rises within a channel.</param>
    internal sealed record Message(ulong Tag, string? Id, byte[] Body)
    {
        private const int LongestBody = 64 * 1024;
        private const int LongestId = 200;

        /// <summary>Null when the sender gave none that can be kept.</summary>
        public string? KnownId => Id is { Length: > 0 and <= LongestId } && !Id.Contains('\0', StringComparison.Ordinal) ? Id : null;

        public Report Report(string system)
        {
            var text = Utf8.IsValid(Body) ? Encoding.UTF8.GetString(Body) : Encoding.Latin1.GetString(Body);
            var reference = KnownId ?? "(no id)";
            return Body.Length > LongestBody
                ? Changes.Report.SetAside(system, "message", reference, text, $"It has {Body.Length} bytes; a change has at most {LongestBody}.")
                : Changes.Report.Of(system, "message", reference, text);
        }
    }
}
