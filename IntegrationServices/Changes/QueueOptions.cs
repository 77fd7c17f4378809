using System.ComponentModel.DataAnnotations;

namespace IntegrationServices.Changes;

/// <summary>A queue on which a system reports changes, of a broker that speaks AMQP 0.9.1 such as RabbitMQ; <c>Changes:Queues:{system}</c>.</summary>
internal sealed class QueueOptions : IValidatableObject
{
    /// <summary>The broker, with user, password and virtual host: <c>amqp://user:password@host:5672/vhost</c>, or <c>amqps://</c> for TLS.</summary>
    public Uri? Address { get; set; }

    /// <summary>The queue's name. It must be there, and durable if nothing may be lost: who reports owns it, and binds it to its exchange.</summary>
    public string Queue { get; set; } = "";

    /// <summary>Messages that are taken in one transaction, and twice as many are fetched ahead; 1 to 1000, 50 unless set.</summary>
    public int Batch { get; set; } = 50;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Address is not { IsAbsoluteUri: true, Scheme: "amqp" or "amqps" })
        {
            yield return new("Address must be amqp://user:password@host:port/vhost, or amqps:// for TLS.");
        }
        if (Queue is not { Length: > 0 and <= 255 })
        {
            yield return new("Queue must name the queue, with at most 255 characters.");
        }
        if (Batch is < 1 or > 1000)
        {
            yield return new("Batch must be from 1 to 1000.");
        }
    }
}
