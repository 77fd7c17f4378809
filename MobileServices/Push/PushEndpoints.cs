using MobileIntegration.ServiceDefaults;
using MobileServices.Push.Events;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Own;
using MobileServices.Push.Registrations;
using MobileServices.Push.Webhooks;

namespace MobileServices.Push;

public static class PushEndpoints
{
    public static void MapPush(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var app = endpoints.MapGroup("/push").WithTags("Push: apps").RequireScope(Scopes.Push).RefuseNuls();
        app.MapRegistrations();
        app.MapSubscriptions();

        // Their addresses are unguessable, and senders are strangers.
        endpoints.MapGroup("/push").WithTags("Push: own push service").AllowAnonymous().MapPushService();

        var sender = endpoints.MapGroup("/push").WithTags("Push: sending").RequireScope(Scopes.PushSend).RefuseNuls();
        sender.MapMessages();
        sender.MapWakeups();
        sender.MapCredentials();
        sender.MapWebhooks();
        sender.MapReceiptSubscriptions();
    }
}
