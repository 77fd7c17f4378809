using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace MobileServices.Push.Events;

/// <summary>
/// Tells the journey from a push to an order what became of messages, in the transaction that writes it down. Silent messages are no step of it, and neither are
/// those to devices of nobody.
/// </summary>
internal static class PushOutcomes
{
    /// <param name="source">A network, or <c>receipts</c>: those who tell of the same one stand in line until they commit.</param>
    public static string SubjectOf(string source) => UserOutcomes.SubjectOf($"push-{source}");

    /// <summary>A statement that tells of deliveries, if there are any.</summary>
    /// <param name="rows">What has <c>message_id</c> and <c>device_id</c> of them; a thousand at most.</param>
    /// <param name="subject">The parameter with the subject.</param>
    public static string Tell(OutcomeStep step, string rows, string subject) =>
        $"""
        select {Outbox.Function}('{nameof(UserOutcomes)}', {subject}, null, now(), jsonb_build_object('step', '{JsonNamingPolicy.CamelCase.ConvertName(step.ToString())}', 'outcomes', jsonb_agg(jsonb_build_object(
            'userId', coalesce(r.customer_id, r.user_id), 'reference', 'push:' || t.message_id || ':' || t.device_id, 'at', now()))), null, null)
        from {rows} t join push.message m on m.id = t.message_id join push.registration r on r.device_id = t.device_id
        where not m.silent and coalesce(r.customer_id, r.user_id) is not null
        having count(*) > 0
        """;
}
