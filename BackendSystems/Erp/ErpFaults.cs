using System.Reflection;
using System.ServiceModel;
using System.ServiceModel.Channels;
using System.Xml;
using SoapCore;
using SoapCore.Extensibility;

namespace BackendSystems.Erp;

/// <summary>Turns exceptions into faults: typed ones as they are, unreadable values into Client, anything else into Server without its secrets.</summary>
internal sealed class ErpFaults(ILogger<ErpFaults> log) : IFaultExceptionTransformer
{
    private readonly DefaultFaultExceptionTransformer<CustomMessage> _faults = new();

    public Message ProvideFault(
        Exception exception, MessageVersion messageVersion, Message requestMessage, ConcurrentXmlNamespaceLookup xmlNamespaceManager) =>
        _faults.ProvideFault(Translate(exception), messageVersion, requestMessage, xmlNamespaceManager);

    private FaultException Translate(Exception exception)
    {
        var cause = exception is TargetInvocationException or AggregateException ? exception.GetBaseException() : exception;
        switch (cause)
        {
            case FaultException fault:
                return fault;
            case FormatException or XmlException:
            case InvalidOperationException { InnerException: FormatException or OverflowException or XmlException or InvalidOperationException }:
                return Fault("Client", $"A value cannot be read: {(cause.InnerException ?? cause).Message} Compare the message with the WSDL.");
            default:
                log.LogError(cause, "A SOAP call failed");
                return Fault("Server", "The Erp failed. Try again later.");
        }
    }

    private static FaultException Fault(string code, string reason) => new(new FaultReason(reason), new FaultCode(code), null);
}
